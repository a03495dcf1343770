import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { diffPatch, mergePatch } from '../src/mergePatch.js'

// RFC 7396, appendix A
const CASES: [unknown, unknown, unknown][] = [
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b' }, { a: null }, {}],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
  [['a', 'b'], ['c', 'd'], ['c', 'd']],
  [{ a: 'b' }, ['c'], ['c']],
  [{ a: 'foo' }, null, null],
  [{ a: 'foo' }, 'bar', 'bar'],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: 'b', c: null }, { a: 'b' }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
]

/** JSON states as the wire has them: null only inside arrays. */
const leaf = fc.oneof(fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.string(), fc.boolean())
const state = fc.letrec<{ node: unknown; object: Record<string, unknown> }>((tie) => ({
  node: fc.oneof({ depthSize: 'small' }, leaf, fc.array(fc.oneof(leaf, fc.constant(null)), { maxLength: 3 }), tie('object')),
  object: fc.dictionary(fc.oneof(fc.constantFrom('a', 'b', 'c', '25P', '__proto__', 'toString'), fc.string()), tie('node'), { maxKeys: 5 }),
})).object

describe('merge patch', () => {
  it.each(CASES)('%j + %j = %j', (target, patch, result) => {
    expect(mergePatch(target, patch)).toEqual(result)
  })

  it('keeps the identity of what does not change', () => {
    const before = { smiles: { 1: { vol: 1 }, 2: { vol: 2 } } }
    const after = mergePatch(before, { smiles: { 2: { vol: 3 } } })
    expect(after.smiles[1]).toBe(before.smiles[1])
    expect(after.smiles[2]).not.toBe(before.smiles[2])
    expect(before.smiles[2].vol).toBe(2)
    expect(mergePatch(before, { smiles: { 2: { vol: 2 } } })).toBe(before)
  })

  it('cannot be used to change the prototype', () => {
    const after = mergePatch<Record<string, unknown>>({}, JSON.parse('{"__proto__": {"polluted": 1}}'))
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
    expect(Object.getPrototypeOf(after)).toBe(Object.prototype)
  })

  it('diff then merge gives the later state', () => {
    fc.assert(
      fc.property(state, state, (before, after) => {
        const patch = diffPatch(before, after)
        expect(patch === undefined ? before : mergePatch<unknown>(before, JSON.parse(JSON.stringify(patch)))).toEqual(JSON.parse(JSON.stringify(after)))
      }),
      { seed: 20260322, numRuns: 400 },
    )
  })

  it('diff of equal states is nothing', () => {
    fc.assert(
      fc.property(state, (one) => {
        expect(diffPatch(one, structuredClone(one))).toBeUndefined()
      }),
      { seed: 7, numRuns: 200 },
    )
  })
})
