/**
 * How many connections the driver has in each process, pipelined. Counted where pools are sized. A connection waits for
 * the disc at each commit: those of several at once are written together.
 */
export const connectionsPerProcess = 4
