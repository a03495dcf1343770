import { feed, useFeed } from '../data/feed'
import { MISSING } from '../lib/format'
import type { ChartBody } from './SeriesChart'
import styles from './SeriesChart.module.css'

/** Columns of a chart's table; denser charts show every n-th. */
const TABLE_COLUMNS_MAX = 61

interface ChartTableProps {
  title: string
  names: readonly string[]
  body: () => ChartBody
  px: number
}

/** A chart's numbers. */
export default function ChartTable({ title, names, body, px }: ChartTableProps) {
  useFeed('cut', () => feed.cut()?.version)
  const { x, values, xText, format } = body()
  const step = Math.ceil(x.length / TABLE_COLUMNS_MAX)
  const columns = x.map((at, j) => [at, j] as const).filter(([, j]) => j % step === 0)
  return (
    <div className={styles.scroll} style={{ height: px }} tabIndex={0} role="region" aria-label={`${title}, table`}>
      <table className={styles.table}>
        <caption className="visually-hidden">{title}</caption>
        <thead>
          <tr>
            <td />
            {columns.map(([at]) => (
              <th key={at} scope="col">
                {xText(at)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {names.map((name, i) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              {columns.map(([at, j]) => (
                <td key={at}>{values[i]?.[j] === undefined ? MISSING : format(values[i]?.[j])}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
