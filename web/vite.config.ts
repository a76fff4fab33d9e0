import { fileURLToPath } from 'node:url'
import { preact } from '@preact/preset-vite'
import { defineConfig } from 'vite'

const server = process.env.KINTSUGI_URL ?? 'http://localhost:3000'

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  plugins: [preact()],
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    target: 'es2022',
    cssTarget: 'esnext',
    // browsers that run this page know modulepreload; the stand-in for others is an inline script by another name
    modulePreload: { polyfill: false },
    // small images too stay files: `data:` is for what the server sends along
    assetsInlineLimit: 0,
  },
  // `npm run dev:web` beside a running server
  server: { proxy: { '/v1': server, '/docs': server, '/socket.io': { target: server, ws: true } } },
})
