/** `fourfold/testing`: what drivers and apps are tested with. */

export { filesContract } from './files-contract.ts'
export type { FilesContractOptions, FilesServerUnderTest } from './files-contract/options.ts'
export { storeContract } from './store-contract.ts'
export type { StoreContractOptions, StoreServerUnderTest } from './store-contract/options.ts'
export { tierContract, type TierContractOptions, type TierServerUnderTest } from './tier-contract.ts'
export { until } from './until.ts'
