/** What is always a mistake, with types known; the layers of `scripts/layers.ts`; no matters of taste. */

import { defineConfig } from 'oxlint'
import { layerOverrides } from './scripts/layers.ts'

export default defineConfig({
  options: { typeAware: true },
  plugins: ['typescript', 'unicorn', 'oxc', 'import', 'node'],
  categories: { correctness: 'error', suspicious: 'error' },
  env: { node: true, es2024: true },
  ignorePatterns: ['node_modules', 'dist', '.fourfold', 'bench/results'],
  rules: {
    'typescript/no-floating-promises': [
      'error',
      {
        // node:test collects these by itself.
        allowForKnownSafeCalls: [
          {
            from: 'package',
            package: 'node:test',
            name: ['it', 'test', 'describe', 'suite', 'before', 'after', 'beforeEach', 'afterEach'],
          },
        ],
      },
    ],
    'typescript/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    'typescript/require-array-sort-compare': ['error', { ignoreStringArrays: true }],
    'typescript/restrict-template-expressions': [
      'error',
      {
        allowNumber: true,
        allowBoolean: true,
        allowNullish: true,
        allow: [{ from: 'lib', name: ['URL', 'URLSearchParams'] }],
      },
    ],
    'typescript/no-misused-promises': ['error', { checksVoidReturn: { properties: false, attributes: false } }],
    'eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrors: 'all' }],
    'typescript/only-throw-error': 'error',
    'import/no-cycle': 'error',
    'eslint/no-var': 'error',
    'eslint/eqeqeq': 'error',
    // Narrowing by assertion is how drivers' rows and JSON get their types; the checks stand beside them.
    'typescript/no-unsafe-type-assertion': 'off',
    // The compiler checks this, and knows exhaustive switches.
    'typescript/consistent-return': 'off',
    'typescript/no-unnecessary-type-parameters': 'off',
    'typescript/no-unnecessary-type-arguments': 'off',
    'typescript/no-unnecessary-type-conversion': 'off',
    // Interfaces write their functions as methods; objects made by closures need no `this`.
    'typescript/unbound-method': 'off',
    // `isolatedDeclarations` needs some assertions that change nothing.
    'typescript/no-unnecessary-type-assertion': 'off',
    'typescript/no-misused-spread': 'off',
    'import/no-named-as-default-member': 'off',
    // Meant for Express; Fastify awaits its handlers.
    'oxc/no-async-endpoint-handlers': 'off',
    'unicorn/no-useless-spread': 'off',
    'import/no-unassigned-import': 'off',
    'unicorn/consistent-function-scoping': 'off',
    'unicorn/no-array-reverse': 'off',
    'unicorn/no-array-sort': 'off',
    // About windows of browsers, and here are threads.
    'unicorn/require-post-message-target-origin': 'off',
    'eslint/no-shadow': 'off',
    'eslint/no-await-in-loop': 'off',
    'eslint/no-underscore-dangle': 'off',
  },
  overrides: [...layerOverrides(), { files: ['test/types/**/*.ts'], rules: { 'eslint/no-unused-expressions': 'off' } }],
})
