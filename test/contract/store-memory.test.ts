import { storeContract } from '../../src/testing/index.ts'
import { startStoreProcess } from '../support/store-process.ts'

storeContract({ name: 'memory', start: () => startStoreProcess(), survivesRestart: true })
storeContract({
  name: 'memory, compacting its log all the time',
  start: () => startStoreProcess({ compactBytes: 1 }),
  survivesRestart: true,
})
