// Checks custom resources of the rendered chart: values against the resources' own schemas (ajv, as the packages carry
// them), and names against their types, because those schemas let unknown keys pass. Manifests come as a JSON list on
// standard input; faults go out as a JSON list of "Kind/name: fault".
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { AnalysisTemplate, Rollout } from '@kubernetes-models/argo-rollouts/argoproj.io/v1alpha1'
import { ScaledObject, TriggerAuthentication } from '@kubernetes-models/keda/keda.sh/v1alpha1'
import { PodMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1'

const MODELS = {
  AnalysisTemplate: [AnalysisTemplate, '@kubernetes-models/argo-rollouts/argoproj.io/v1alpha1'],
  Rollout: [Rollout, '@kubernetes-models/argo-rollouts/argoproj.io/v1alpha1'],
  ScaledObject: [ScaledObject, '@kubernetes-models/keda/keda.sh/v1alpha1'],
  TriggerAuthentication: [TriggerAuthentication, '@kubernetes-models/keda/keda.sh/v1alpha1'],
  PodMonitor: [PodMonitor, '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1'],
}

function byValue(manifest) {
  const [Model] = MODELS[manifest.kind]
  try {
    new Model(manifest).validate()
    return []
  } catch (error) {
    return [String(error.message)]
  }
}

function byName(manifests) {
  const folder = mkdtempSync(join(import.meta.dirname, 'check-'))
  try {
    const file = join(folder, 'manifests.ts')
    const lines = manifests.map((manifest, at) => {
      const from = MODELS[manifest.kind][1]
      return `export const m${at}: import('${from}').I${manifest.kind} = ${JSON.stringify(manifest)}`
    })
    writeFileSync(file, lines.join('\n'))
    const options = {
      strict: true,
      noEmit: true,
      skipLibCheck: true,
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
    }
    const program = ts.createProgram([file], options)
    return ts.getPreEmitDiagnostics(program).map((fault) => {
      const line = fault.file ? fault.file.getLineAndCharacterOfPosition(fault.start).line : -1
      const manifest = manifests[line]
      const text = ts.flattenDiagnosticMessageText(fault.messageText, ' ')
      return `${manifest?.kind}/${manifest?.metadata.name}: ${text}`
    })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const manifests = JSON.parse(readFileSync(0, 'utf8'))
const unknown = manifests.filter(({ kind }) => !(kind in MODELS))
const known = manifests.filter(({ kind }) => kind in MODELS)
const faults = [
  ...unknown.map(({ kind }) => `${kind}: no model of this kind`),
  ...known.flatMap((each) => byValue(each).map((text) => `${each.kind}/${each.metadata.name}: ${text}`)),
  ...byName(known),
]
console.log(JSON.stringify(faults))
