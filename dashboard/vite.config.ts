import { fileURLToPath } from 'node:url'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'

// The development feed (dev/feed.mjs) or a real gateway; the page finds its socket in /config.json.
const gateway = process.env.DERIVASYS_GATEWAY ?? 'http://127.0.0.1:8791'

const CORE =
  /preload-helper|clients\/typescript\/src|node_modules\/(react|react-dom|scheduler|zustand|use-sync-external-store)\/|src\/(app\/(scheduler|theme|view|settings|units|page)|lib\/(format|heat|quantiles|colour)|data|ui\/(Panel|controls)|features\/smiles\/venues|features\/rrfly\/rows)/
const PLOTS = /node_modules\/uplot\/|src\/ui\/(usePlot|axes|days|SeriesChart)|src\/features\/rrfly\/charts/

export default defineConfig({
  plugins: [react()],
  // the client's sources, so that the page needs no build of it
  resolve: { alias: { '@derivasys/client': fileURLToPath(new URL('../clients/typescript/src/index.ts', import.meta.url)) } },
  worker: { format: 'es' },
  build: {
    target: 'es2022',
    chunkSizeWarningLimit: 700,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      output: {
        // what the first view needs in one piece, the charts in another: many small chunks compress worse
        codeSplitting: { groups: [{ name: 'core', test: CORE, priority: 2 }, { name: 'plots', test: PLOTS }] },
      },
    },
  },
  server: {
    proxy: {
      '/config.json': gateway,
      '/ws': { target: gateway, ws: true },
    },
  },
  test: {
    include: ['test/**/*.test.{ts,tsx}'],
    restoreMocks: true,
  },
})
