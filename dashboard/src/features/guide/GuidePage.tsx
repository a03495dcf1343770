import type { ReactNode } from 'react'
import { useView } from '../../app/view'
import { feed, useFeed } from '../../data/feed'
import { FLY_EDGES, RR_EDGES } from '../../lib/heat'
import { STEPS } from '../through/model'
import styles from './Guide.module.css'

const DELTA_TEXT = {
  forward: 'forward: N(d₁) of a call, N(d₁) − 1 of a put',
  premium_adjusted: 'premium-adjusted, that of an option paid for in coin: eᵏ·N(d₂) of a call, −eᵏ·N(−d₂) of a put',
}
const FLY_TEXT = {
  full: 'call + put − 2 × at the money',
  half: '(call + put) ÷ 2 − at the money',
  market_strangle: 'vol of the market strangle − at the money',
}

const CHAPTERS = [
  ['surface', 'What the surface is'],
  ['method', 'From quotes to the surface'],
  ['conventions', 'Conventions in force'],
  ['numbers', 'What each number means'],
  ['trust', 'How far to trust it'],
  ['through', 'Quotes through the fit'],
  ['fresh', 'Source and freshness'],
  ['limits', 'What it does not do'],
] as const

/** What the surface is, how it comes about, what each number means, and where to stop trusting it. */
export default function GuidePage() {
  return (
    <article className={styles.guide} data-testid="guide">
      <nav aria-label="Chapters">
        <ol>
          {CHAPTERS.map(([id, title]) => (
            <li key={id}>
              <button type="button" onClick={() => document.querySelector(`#guide-${id}`)?.scrollIntoView({ block: 'start' })}>
                {title}
              </button>
            </li>
          ))}
        </ol>
      </nav>
      <div>
        <Surface />
        <Method />
        <Conventions />
        <Numbers />
        <TrustChapter />
        <ThroughChapter />
        <Fresh />
        <Limits />
      </div>
    </article>
  )
}

function Chapter({ id, children }: { id: (typeof CHAPTERS)[number][0]; children: ReactNode }) {
  return (
    <section id={`guide-${id}`} aria-labelledby={`guide-${id}-title`}>
      <h2 id={`guide-${id}-title`}>{CHAPTERS.find(([name]) => name === id)?.[1]}</h2>
      {children}
    </section>
  )
}

function Formula({ children }: { children: ReactNode }) {
  return <p className={styles.formula}>{children}</p>
}

function Terms({ children }: { children: ReactNode }) {
  return <dl>{children}</dl>
}

function Term({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}

function Surface() {
  return (
    <Chapter id="surface">
      <p>
        An option’s implied vol is the σ at which Black’s formula gives its price. Over strikes of one expiry it draws a smile; over expiries, a surface. Quotes are many, late and at odds with each
        other; the surface is one smooth curve an expiry, close to all of them, that nobody could trade against without risk.
      </p>
      <p>Each expiry has five numbers, raw SVI in total variance w = σ²τ against log-moneyness k = ln(K/F):</p>
      <Formula>w(k) = a + b·( ρ·(k − m) + √( (k − m)² + s² ) ){'    '}σ(k) = √( w(k) / τ )</Formula>
      <p>Every curve of these pages is drawn here from those five numbers as published, and every panel shows the same version of them. Gatheral and Jacquier, “Arbitrage-free SVI volatility surfaces”, 2014.</p>
    </Chapter>
  )
}

function Method() {
  return (
    <Chapter id="method">
      <ol className={styles.steps}>
        <li>
          <b>Forward.</b> Each venue’s own forward of the expiry, held against put–call parity of its quotes. Where the two differ by more than their errors, the smile’s reasons say so.
        </li>
        <li>
          <b>Implied vols.</b> Every bid and ask against the forward of its own venue, by Black-76, undiscounted:
          <Formula>C = F·( N(d₁) − eᵏ·N(d₂) ){'    '}d₁ = −k/√w + √w/2{'    '}d₂ = d₁ − √w</Formula>
        </li>
        <li>
          <b>Which quotes count.</b> Stale, crossed, one-sided, very wide, in-the-money and below-intrinsic quotes are left out, each with one reason. They stay visible, faint.
        </li>
        <li>
          <b>Fit.</b> All smiles of a currency together, least squares in vol weighted by how tight each quote is, under the constraints below. It starts from the last fit; a cycle takes milliseconds.
        </li>
        <li>
          <b>Certificate.</b> Proved on the five numbers after rounding, on the whole line and not on a grid. No butterfly arbitrage means that the density is nowhere negative:
          <Formula>g(k) = ( 1 − k·w′/2w )² − (w′²/4)·( 1/w + 1/4 ) + w″/2 ≥ 0</Formula>
          No calendar arbitrage means that total variance never falls with time: w(k, τ₁) ≤ w(k, τ₂). Lee’s bound: the wings rise by no more than 2 in w for each unit of k.
        </li>
        <li>
          <b>Nodes and tenors.</b> Strikes where an option has a given delta; fixed tenors between listed expiries, linear in total variance at constant k, each with a proof of its own.
        </li>
      </ol>
    </Chapter>
  )
}

function Conventions() {
  useFeed('cut', () => feed.cut()?.surface?.conventions)
  const conventions = feed.cut()?.surface?.conventions
  const { rr, unit } = useView()
  return (
    <Chapter id="conventions">
      <p>Of the numbers on screen. Settings (the comma key) asks the server for others, from the same fit, and the address keeps it.</p>
      <Terms>
        <Term name="Delta">
          {conventions ? DELTA_TEXT[conventions.delta] : '–'}, on the smile’s own vol at that strike. Nodes 5P … 40P and 40C … 5C are where an option has that
          delta.
        </Term>
        <Term name="At the money">{conventions?.atm ?? '–'}: strike equal to the forward, k = 0.</Term>
        <Term name="Risk reversal">
          {rr === 'put' ? 'vol of the put − vol of the call' : 'vol of the call − vol of the put'} at the same delta. {rr === 'put' ? 'Positive' : 'Negative'}: puts are dearer.
        </Term>
        <Term name="Fly">{FLY_TEXT[conventions?.fly ?? 'full']}: how much dearer the wings are than the middle.</Term>
        <Term name="Time">{conventions?.day_count ?? '–'}, seconds counted, to {conventions?.expiry_time ?? '–'} of the expiry. Axes of time are in days. All clock times are UTC.</Term>
        <Term name="Units">{unit === 'decimal' ? 'Vols as decimals: 0.4418 means 44.18 %.' : 'Vols in vol points (vp): 44.18 means 44.18 %.'} Prices in quote currency, sizes in coins.</Term>
      </Terms>
    </Chapter>
  )
}

function Numbers() {
  return (
    <Chapter id="numbers">
      <Terms>
        <Term name="rmse">root mean square distance of the fit from the mid vols of the quotes used, vol points.</Term>
        <Term name="Inside">share of the used two-sided quotes between whose bid and ask the fit lies.</Term>
        <Term name="Objective">what the fit minimises: weighted squared errors of the whole surface. It has no unit; compare it with itself.</Term>
        <Term name="Cost">what freedom from arbitrage cost against the free fit: rmse above it, share inside below it.</Term>
        <Term name="Variance swap">
          the vol whose square is the fair strike of a variance swap, over the whole smile. Beside it, the share that rests on strikes nobody quotes.
          <Formula>σ² = (2/τ)·∫ e⁻ᵏ·O(k) dk, O the out-of-the-money option over the forward</Formula>
        </Term>
        <Term name="30-day index">the variance-swap vol at 30 days, linear in variance between the two expiries around it. Absent where 30 days lie outside the listing.</Term>
        <Term name="Parity gap">the forward that put–call parity of the quotes implies, above the one used, in basis points of it, with its standard error.</Term>
        <Term name="Density">
          of ln(S/F) at expiry, risk-neutral: p(k) = g(k)/√w · φ(d₂). Drawn per standard deviation, so that expiries can be compared.
        </Term>
        <Term name="Carry">growth of the forward between neighbouring expiries: ln(F₂/F₁)/(τ₂ − τ₁), per cent a year.</Term>
        <Term name="Colours">
          eleven fixed steps, edges at {RR_EDGES.join(', ')} vol points ({FLY_EDGES.join(', ')} for flies): risk reversals and flies from zero, node vols from at the money. The same value has the same
          colour all day. A line over a cell: it just rose by 0.05 vol points or more (a forward by a basis point); under it: it just fell.
        </Term>
      </Terms>
    </Chapter>
  )
}

function TrustChapter() {
  const limits = useView((view) => view.limits)
  return (
    <Chapter id="trust">
      <p>Ten checks an expiry, each against a limit that Settings holds. Nothing is averaged into a score; what the server did not say counts as not known.</p>
      <Terms>
        <Term name="✓ All checks passed">
          fitted to this cycle’s quotes; butterfly, calendar and wings certified; at least {limits['min.inside']} % inside bid–ask; rmse at most {limits['max.rmse']}; at least {limits['min.used']} quotes;
          forward within {limits['max.gap']} bp of parity; quoted from 10P to 10C; quotes at the nodes at most {limits['max.age']} s old.
        </Term>
        <Term name="! With care">arbitrage is excluded, but something above failed or is not known. Open the expiry (click its name) to see what.</Term>
        <Term name="✗ Not to be trusted">a certificate is violated, or there is no fit.</Term>
        <Term name="x extrapolated">no quote is as far out as this node, or no expiry as far as this tenor.</Term>
        <Term name="h held">this cycle’s quotes did not support a fit: the last good one stays, with the reason.</Term>
        <Term name="r rejected">no fit is shown, with the reason.</Term>
        <Term name="Certificate">certified: proved on the parameters as published. violated: there is arbitrage. unchecked: nothing was proved, so assume nothing.</Term>
      </Terms>
    </Chapter>
  )
}

function ThroughChapter() {
  return (
    <Chapter id="through">
      <p>
        A bid above the fitted curve could be sold, an ask below it bought, and hedged on the surface. The matrix shows by how much, for how many coins, for how long, and what is left after the venue’s
        taker fee. Only smiles fitted to present quotes and certified give cells; stale and crossed quotes give none.
      </p>
      <Terms>
        <Term name="▲ violet">bid above the fit. Darker or stronger from {STEPS.join(', ')} vol points.</Term>
        <Term name="▼ teal">ask below the fit.</Term>
        <Term name="Net">
          <Formula>bid − fit − fee, or fit − ask − fee, in quote currency a coin; and the same in vol</Formula>
        </Term>
        <Term name="Not in it">the cost of the hedge, the other leg’s spread, and the chance that the quote is gone.</Term>
      </Terms>
    </Chapter>
  )
}

function Fresh() {
  return (
    <Chapter id="fresh">
      <p>
        The label at the top, and beside the version of every panel, says when this is not the live market: a replay of a recording, a simulation, or a file. In a replay the time of the data is the recorded
        time; whether the screen is fresh is judged by when data arrives here. After three seconds without data the panels dim and the notice names the venues that are quiet. A missed message is never
        bridged: the page asks for a fresh snapshot and says so.
      </p>
      <p>Space freezes everything; the header counts the versions behind. What a number showed while frozen, it still shows.</p>
    </Chapter>
  )
}

function Limits() {
  return (
    <Chapter id="limits">
      <p>
        SVI has five numbers an expiry: it cannot follow every kink that an event puts into a smile, and says so by its error. Beyond the last quoted strike the curve is an extrapolation, marked as such.
        Settlement is treated as a single instant. Early expiries move fast: their checks fail first. Fees are the venues’ list prices for a taker, without discounts. Not investment advice; a fitted
        surface is an estimate.
      </p>
    </Chapter>
  )
}
