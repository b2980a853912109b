/** Each package runs this with its own folder as `--rootDir`. */
export default {
  testMatch: ['<rootDir>/**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': ['@swc/jest', { jsc: { target: 'es2023', parser: { syntax: 'typescript' } } }] },
  // Tests run the source of the packages, not their last build.
  moduleNameMapper: { '^@task-manager/(runtime|dev|testing)/(.*)$': `${import.meta.dirname}/packages/$1/src/$2.ts` },
  globalSetup: `${import.meta.dirname}/packages/testing/dist/test-database.js`,
  globalTeardown: `${import.meta.dirname}/packages/testing/dist/test-database-stop.js`,
  testTimeout: 30_000,
  // A failed test may leave a client running: end, instead of waiting for it.
  forceExit: true,
  reporters: ['default', `${import.meta.dirname}/packages/testing/count-reporter.mjs`],
};
