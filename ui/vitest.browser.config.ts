import { defineConfig } from 'vitest/config';

/** The built UI in a real browser, against the real API of both examples, started by `pulpo up`. */
export default defineConfig({
  test: {
    include: ['tests/**/*.spec.ts'],
    environment: 'node',
    globalSetup: ['tests/support/setup.ts'],
    fileParallelism: false,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    isolate: false,
    sequence: { concurrent: false },
  },
});
