/** Puts other modules in the place of Conduit's `domain/`, for its API: the same routes over another way to read. */
import { existsSync } from 'node:fs'
import { registerHooks } from 'node:module'

export function readDomainFrom(folder: string): void {
  registerHooks({
    resolve: (specifier, context, next) => {
      const [, name] = /^\.\.\/domain\/([\w-]+\.ts)$/.exec(specifier) ?? []
      if (name !== undefined && /\/conduit\/src\/api\//.test(context.parentURL ?? '')) {
        const other = new URL(`./${folder}/${name}`, import.meta.url)
        if (existsSync(other)) return next(other.href, context)
      }
      return next(specifier, context)
    },
  })
}
