/** `fourfold/testing`: what drivers and apps are tested with. */

export { storeContract, type StoreContractOptions, type StoreServerUnderTest } from './store-contract.ts'
export { until } from './until.ts'
