/** A progress bar on a terminal, and a line now and then elsewhere. */

const width = 28
const linesEvery = 0.25

/** Draws to standard error; `finish` ends the line. */
export function createProgressBar(): { update: (fraction: number, what: string) => void; finish: () => void } {
  let shown = -1
  const { stderr } = process
  const update = (fraction: number, what: string): void => {
    const part = Math.min(1, Math.max(0, fraction))
    if (stderr.isTTY) {
      const filled = Math.round(part * width)
      const bar = '█'.repeat(filled) + '░'.repeat(width - filled)
      stderr.write(`\r\u001B[2K  ${bar} ${String(Math.round(part * 100)).padStart(3)} %  ${what}`)
    } else if (shown < 0 || part - shown >= linesEvery || (part === 1 && shown < 1)) {
      shown = part
      stderr.write(`  ${String(Math.round(part * 100)).padStart(3)} %  ${what}\n`)
    }
  }
  return { update, finish: () => void (stderr.isTTY && stderr.write('\r\u001B[2K')) }
}
