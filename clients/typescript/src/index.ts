/** Client of a DerivaSys gateway: the live state of a volatility surface, and the functions that evaluate it. */
export * from './black.js'
export * from './client.js'
export * from './mergePatch.js'
export type * from './messages.js'
export * from './nodes.js'
export * from './reducer.js'
export * from './session.js'
export * from './svi.js'
