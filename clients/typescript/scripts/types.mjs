// Generates src/messages.ts from the wire's JSON Schema; with --check, fails when it is out of date.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { compile } from 'json-schema-to-typescript'

const schemaFile = fileURLToPath(new URL('../../../src/derivasys/wire/schemas.json', import.meta.url))
const typesFile = fileURLToPath(new URL('../src/messages.ts', import.meta.url))

const { $defs } = JSON.parse(readFileSync(schemaFile, 'utf8'))

/** msgspec writes tags as one-value enums and keeps `title` equal to the definition's key: both are as wanted. */
const schema = {
  title: 'Wire',
  description: 'Every definition of the wire, by name; only here so that all of them are generated.',
  type: 'object',
  additionalProperties: false,
  required: Object.keys($defs),
  properties: Object.fromEntries(Object.keys($defs).map((name) => [name, { $ref: `#/$defs/${name}` }])),
  $defs,
}

const generated = await compile(schema, 'Wire', {
  bannerComment:
    '/* Generated from src/derivasys/wire/schemas.json by `npm run types`: do not edit. `npm run types:check` fails when out of date. */',
  additionalProperties: false,
  style: { semi: false, singleQuote: true, printWidth: 120 },
})

if (process.argv.includes('--check')) {
  let current = ''
  try {
    current = readFileSync(typesFile, 'utf8')
  } catch {
    // absent is out of date
  }
  if (current !== generated) {
    console.error('src/messages.ts is out of date with schemas.json: run `npm run types`')
    process.exit(1)
  }
  console.log('src/messages.ts is up to date')
} else {
  writeFileSync(typesFile, generated)
  console.log(`wrote ${typesFile.slice(typesFile.indexOf('src/messages'))}`)
}
