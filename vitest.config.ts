import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    pool: "forks",
    // As many files as there are cores are tested at once: a device has none to spare.
    env: { PREFLINE_THREADS: "1" },
    // The default leaves a core free, which on two cores halves the speed.
    maxWorkers: Math.max(1, availableParallelism()),
    testTimeout: 60_000,
    hookTimeout: 60_000
  }
})
