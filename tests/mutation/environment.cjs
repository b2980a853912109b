/**
 * Jest's environment for `npm run mutation`: after the first failed test it skips all others of this mutant, in every file.
 * Jest's own `bail` does not work within a file, and Stryker turns it off (jestjs/jest#11766).
 */
const { TestEnvironment } = require('jest-environment-node');

/** One process tests many mutants; the initial run has none, and skips nothing. */
let killedMutant;

module.exports = class extends TestEnvironment {
  handleTestEvent(event) {
    const mutant = process.env.__STRYKER_ACTIVE_MUTANT__;
    if (event.name === 'test_done' && event.test.errors.length > 0) killedMutant = mutant;
    if (mutant === undefined || mutant !== killedMutant) return;
    if (event.name === 'run_describe_start') event.describeBlock.mode = 'skip';
    // A test whose hooks have failed must stay failed.
    if (event.name === 'test_start' && event.test.errors.length === 0) event.test.mode = 'skip';
  }
};
