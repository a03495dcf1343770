import { feed, useFeed } from '../../data/feed'
import { RR_EDGES } from '../../lib/heat'
import styles from './Guide.module.css'

const FLY_TEXT = {
  full: 'call + put − 2 × at the money',
  half: '(call + put) ÷ 2 − at the money',
  market_strangle: 'vol of the market strangle − at the money',
}

/** What the surface is, what each number means, and where to stop trusting it. */
export default function GuidePage() {
  useFeed('cut', () => feed.cut()?.surface?.conventions)
  const conventions = feed.cut()?.surface?.conventions
  return (
    <article className={styles.guide}>
      <h2>The surface</h2>
      <p>
        Quotes of every listed option are turned into Black-76 vols against the forward of their own venue and expiry. For each expiry five numbers are fitted, raw SVI in
        total variance: <code>w(k) = a + b(ρ(k − m) + √((k − m)² + σ²))</code>, where <code>k = ln(K/F)</code> and <code>w = vol² · τ</code>. Every curve on these pages is
        drawn from those five numbers, and every panel shows the same version of them.
      </p>

      <h2>Conventions in force</h2>
      <dl>
        <div>
          <dt>Delta</dt>
          <dd>{conventions ? conventions.delta.replace('_', '-') : '–'}: nodes 5P … 40P and 40C … 5C are the strikes where an option has that delta.</dd>
        </div>
        <div>
          <dt>At the money</dt>
          <dd>{conventions?.atm ?? '–'}: strike equal to the forward.</dd>
        </div>
        <div>
          <dt>Risk reversal</dt>
          <dd>vol of the call − vol of the put, in vol points. Negative: puts are dearer.</dd>
        </div>
        <div>
          <dt>Fly</dt>
          <dd>
            {FLY_TEXT[conventions?.fly ?? 'full']}, in vol points ({conventions?.fly.replace('_', ' ') ?? '–'} version).
          </dd>
        </div>
        <div>
          <dt>Time</dt>
          <dd>
            {conventions?.day_count ?? '–'} to the expiry instant, {conventions?.expiry_time ?? '–'}. Axes of time are in days.
          </dd>
        </div>
        <div>
          <dt>Units</dt>
          <dd>Vols in vol points: 44.18 means 44.18 %. Prices in quote currency.</dd>
        </div>
      </dl>

      <h2>How far to trust a number</h2>
      <dl>
        <div>
          <dt>x extrapolated</dt>
          <dd>no quote is as far out as this node, or no expiry as far as this tenor.</dd>
        </div>
        <div>
          <dt>h held</dt>
          <dd>this cycle’s quotes did not support a fit: the last good one stays, with the reason.</dd>
        </div>
        <div>
          <dt>r rejected</dt>
          <dd>no fit is shown, with the reason.</dd>
        </div>
        <div>
          <dt>Certificate</dt>
          <dd>
            certified: proved, on the parameters as published, that there is no butterfly (or calendar) arbitrage. violated: there is. unchecked: nothing was proved, so assume
            nothing.
          </dd>
        </div>
        <div>
          <dt>Inside</dt>
          <dd>share of the used two-sided quotes between whose bid and ask the fit lies.</dd>
        </div>
        <div>
          <dt>Colours</dt>
          <dd>
            eleven fixed steps, edges at {RR_EDGES.join(', ')} vol points: risk reversals from zero, node vols from at the money. The same value has the same colour all day.
          </dd>
        </div>
      </dl>

      <h2>Source and freshness</h2>
      <p>
        The label at the top says whether this is live, a replay of a recording, or simulated. In a replay the time of the data is the recorded time; whether the screen is
        fresh is judged by when data arrives here. After three seconds without data the panels dim, and the notice names the venues that are quiet.
      </p>
      <p>Not investment advice; a fitted surface is an estimate.</p>
    </article>
  )
}
