/** `fourfold/testing`: what drivers and apps are tested with. */

export { filesContract, type FilesContractOptions, type FilesServerUnderTest } from './files-contract.ts'
export { storeContract } from './store-contract.ts'
export type { StoreContractOptions, StoreServerUnderTest } from './store-contract/options.ts'
export { tierContract, type TierContractOptions, type TierServerUnderTest } from './tier-contract.ts'
export { until } from './until.ts'
