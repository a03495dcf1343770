import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'

// The development feed (dev/feed.mjs) or a real gateway; the page finds its socket in /config.json.
const gateway = process.env.DERIVASYS_GATEWAY ?? 'http://127.0.0.1:8791'

export default defineConfig({
  plugins: [react()],
  worker: { format: 'es' },
  build: { target: 'es2022', sourcemap: false, chunkSizeWarningLimit: 700 },
  server: {
    proxy: {
      '/config.json': gateway,
      '/ws': { target: gateway, ws: true },
    },
  },
  test: {
    environment: 'jsdom',
    include: ['test/**/*.test.{ts,tsx}'],
    restoreMocks: true,
  },
})
