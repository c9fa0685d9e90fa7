/** Why a run of the tracker cannot be, or ends: what the loop around it decides by. */

/** Another tracker reads the slot. */
export class SlotTaken extends Error {
  override readonly name = 'SlotTaken'
}

/** The server does not allow the stream: it will not by itself. */
export class StreamRefused extends Error {
  override readonly name = 'StreamRefused'
}

/** Changes may be missing: the next run begins with a new slot. */
export class StreamBroken extends Error {
  override readonly name = 'StreamBroken'
}
