import { type ReactNode, useEffect, useRef, useState } from 'react'

interface NearProps {
  id: string
  /** Height kept until the content is there. */
  px: number
  children: ReactNode
}

/** Mounts its content, and so asks for its code, when it comes near the window. */
export function Near({ id, px, children }: NearProps) {
  const place = useRef<HTMLDivElement>(null)
  const [isNear, setNear] = useState(false)
  useEffect(() => {
    if (isNear || !place.current) return undefined
    const seen = new IntersectionObserver(([entry]) => entry?.isIntersecting && setNear(true), { rootMargin: '500px' })
    seen.observe(place.current)
    return () => seen.disconnect()
  }, [isNear])
  return (
    <div ref={place} id={id} style={isNear ? undefined : { minHeight: px }}>
      {isNear ? children : null}
    </div>
  )
}
