/**
 * For tests that take longer than the default run has room for: the reason to skip them there. `npm run verify -- long`
 * runs them.
 */
export const longForm: string | false =
  process.env['FOURFOLD_LONG_TESTS'] === '1' ? false : 'it takes long: npm run verify -- long'
