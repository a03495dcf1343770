/** A thin wrapper of uPlot: sized by its element, rebuilt on a change of theme, painted by the scheduler. */
import { type RefObject, useEffect, useRef } from 'react'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { scheduler } from '../app/scheduler'
import { onTheme } from '../app/theme'
import { feed } from '../data/feed'
import { useFault } from './Panel'

export interface PlotSpec {
  /** Everything but the size; called again on a change of theme. */
  options: () => Omit<uPlot.Options, 'width' | 'height'>
  /** What to draw now, or undefined when what is drawn is still so. */
  data: (plot: uPlot) => uPlot.AlignedData | undefined
  intervalMs: number
  /** Told of each chart made and, with undefined, of its end. */
  onPlot?: (plot: uPlot | undefined) => void
}

/** What each chart has drawn, by its name, for tests: a canvas has no text to read. */
export const drawn = new Map<string, { version: number | undefined; data: uPlot.AlignedData }>()

/** Draws into `host`; the chart is made again when `key` changes. */
export function usePlot(host: RefObject<HTMLDivElement | null>, spec: PlotSpec, key: string): void {
  const latest = useRef(spec)
  const onFault = useFault()
  useEffect(() => {
    latest.current = spec
  })
  useEffect(() => {
    const element = host.current
    if (!element) return undefined
    let plot: uPlot | undefined
    let isVisible = true
    const make = () => {
      plot?.destroy()
      const { clientWidth: width, clientHeight: height } = element
      plot = new uPlot({ ...latest.current.options(), width: Math.max(80, width), height: Math.max(60, height) }, undefined, element)
      latest.current.onPlot?.(plot)
      handle.invalidate()
    }
    const handle = scheduler.add({
      canvas: true,
      onFault,
      intervalMs: latest.current.intervalMs,
      isVisible: () => isVisible,
      paint: () => {
        if (!plot) return
        const data = latest.current.data(plot)
        if (data) plot.setData(data)
        element.dataset.version = String(feed.cut()?.version ?? '')
        if (data && element.dataset.chart) drawn.set(element.dataset.chart, { version: feed.cut()?.version, data })
      },
    })
    const seen = new IntersectionObserver(
      ([entry]) => {
        isVisible = entry?.isIntersecting ?? true
        if (isVisible) handle.invalidate()
      },
      { rootMargin: '40px' },
    )
    seen.observe(element)
    const sized = new ResizeObserver(() => {
      const { clientWidth: width, clientHeight: height } = element
      if (plot && width > 0 && height > 0 && (plot.width !== width || plot.height !== height)) plot.setSize({ width, height })
    })
    make()
    sized.observe(element)
    const stops = [feed.subscribe('cut', handle.invalidate), onTheme(make)]
    return () => {
      for (const stop of stops) stop()
      seen.disconnect()
      sized.disconnect()
      handle.remove()
      plot?.destroy()
      drawn.delete(element.dataset.chart ?? '')
      latest.current.onPlot?.(undefined)
    }
  }, [host, key, onFault])
}
