/** Each package runs this with its own folder as `--rootDir`. */
export default {
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': ['@swc/jest', { jsc: { target: 'es2023', parser: { syntax: 'typescript' } } }] },
  // Tests of a service run the runtime's source, not its last build.
  moduleNameMapper: { '^@task-manager/runtime/(.*)$': `${import.meta.dirname}/services/runtime/src/$1.ts` },
  globalSetup: `${import.meta.dirname}/scripts/dist/test-database.js`,
  globalTeardown: `${import.meta.dirname}/scripts/dist/test-database-stop.js`,
  testTimeout: 30_000,
  reporters: ['default', `${import.meta.dirname}/scripts/count-reporter.mjs`],
};
