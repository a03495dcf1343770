/** Small messages that tests start from: those of the client's own tests. */
export * from '../../clients/typescript/test/messages'
