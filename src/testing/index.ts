/** `fourfold/testing`: what drivers and apps are tested with. */

export { filesContract, type FilesContractOptions, type FilesServerUnderTest } from './files-contract.ts'
export { storeContract, type StoreContractOptions, type StoreServerUnderTest } from './store-contract.ts'
export { tierContract, type TierContractOptions, type TierServerUnderTest } from './tier-contract.ts'
export { until } from './until.ts'
