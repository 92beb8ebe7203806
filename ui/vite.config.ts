import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

export default defineConfig({
  plugins: [react()],
  // The page's server puts a word of its own in this place at each request; style sheets are let in by it.
  html: { cspNonce: '__NONCE__' },
  build: {
    outDir: '../src/pulpo/runtime/page/dist',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: { proxy: { '/api': { target: 'http://127.0.0.1:3000' }, '/project': { target: 'http://127.0.0.1:3000' } } },
});
