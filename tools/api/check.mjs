// Validates an AsyncAPI document with the specification's own parser: node check.mjs FILE. Exit 1 when it is not valid.
import { readFileSync } from 'node:fs'
import { Parser } from '@asyncapi/parser'

const WARNING = 1 // severities: 0 error, 1 warning, 2 information, 3 hint

const [file = ''] = process.argv.slice(2)
const { document, diagnostics } = await new Parser().parse(readFileSync(file, 'utf8'))
const faults = diagnostics.filter(({ severity }) => severity <= WARNING)
for (const { path, message } of faults) console.error(`${path.join('.') || '$'}: ${message}`)
if (!document || faults.length > 0) process.exit(1)
console.log(`${file} is a valid AsyncAPI ${document.version()} document: ${document.allMessages().length} messages`)
