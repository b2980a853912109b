/**
 * Jest's environment for `npm run mutation`: after the first test that fails it runs no other, as one is enough to find a
 * mutant out. Jest's own `bail` does not reach into a file, and Stryker turns it off (jestjs/jest#11766).
 */
const { TestEnvironment } = require('jest-environment-node');

module.exports = class extends TestEnvironment {
  #hasFailed = false;

  handleTestEvent(event) {
    if (event.name === 'test_done' && event.test.errors.length > 0) this.#hasFailed = true;
    if (!this.#hasFailed) return;
    if (event.name === 'run_describe_start') event.describeBlock.mode = 'skip';
    // One whose hooks have failed is a failure that must not be lost.
    if (event.name === 'test_start' && event.test.errors.length === 0) event.test.mode = 'skip';
  }
};
