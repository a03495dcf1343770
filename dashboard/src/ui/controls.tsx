import type { ReactNode } from 'react'
import styles from './controls.module.css'

interface SegmentedProps<T extends string> {
  label: string
  value: T
  options: readonly (readonly [T, string])[]
  onChange: (value: T) => void
}

/** One choice of a few, all of them visible. */
export function Segmented<T extends string>({ label, value, options, onChange }: SegmentedProps<T>) {
  return (
    <div className={styles.segmented} role="group" aria-label={label}>
      {options.map(([option, text]) => (
        <button key={option} type="button" aria-pressed={option === value} onClick={() => onChange(option)}>
          {text}
        </button>
      ))}
    </div>
  )
}

interface ButtonProps {
  label: string
  onClick: () => void
  pressed?: boolean
  children: ReactNode
  testId?: string
}

/** A small labelled button of a panel or the header. */
export function Tool({ label, onClick, pressed, children, testId }: ButtonProps) {
  return (
    <button
      type="button"
      className={styles.tool}
      aria-label={label}
      title={label}
      aria-pressed={pressed}
      onClick={onClick}
      data-testid={testId}
    >
      {children}
    </button>
  )
}

/** A chart shown as a chart or as a table. */
export function TableToggle({ on, onClick, name }: { on: boolean; onClick: () => void; name: string }) {
  return (
    <Tool label={on ? `Show ${name} as a chart` : `Show ${name} as a table`} pressed={on} onClick={onClick}>
      {on ? 'Chart' : 'Table'}
    </Tool>
  )
}
