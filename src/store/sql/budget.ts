/** How many connections the driver has in each process, pipelined. Counted where pools are sized. */
export const connectionsPerProcess = 2
