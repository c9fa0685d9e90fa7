/** Says what is wrong where Node is too old, before a file is loaded that an old Node cannot even read. */

const needed = 24

/** Ends the process with 1 and an explanation on a Node that Fourfold does not run on. */
export function requireNode(version: string = process.versions.node): void {
  if (Number(version.split('.')[0]) >= needed) return
  console.error(
    `Fourfold needs Node ${needed} or later; this is Node ${version}. Install it, or let npm bring it for this project:\n` +
      `  npm install --save-dev node@${needed}   # npx and npm run use it then`,
  )
  process.exit(1)
}
