/** What the contract of files is told of a driver and its server. */

import type { FileDriver } from '../../files/driver.ts'

/** A real server that the contract may pause. */
export interface FilesServerUnderTest {
  /** A driver as another process would have it. */
  connect(): Promise<FileDriver>
  /** How many contents are kept in whatever state: named, coming in, or left over. */
  countContents(): Promise<number>
  /** Stops the server's processes without ending them, as by SIGSTOP. */
  pause(): void
  resume(): void
  stop(): Promise<void>
}

export interface FilesContractOptions {
  readonly name: string
  readonly start: () => Promise<FilesServerUnderTest>
  /** Why the suite cannot run here. */
  readonly skip?: string | false
}
