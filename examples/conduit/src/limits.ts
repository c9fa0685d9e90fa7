/** How long texts may be, here and in the forms' `maxlength`. */
import type { TextRule } from './input.ts'

export const USERNAME: TextRule = { max: 100, trim: true, pattern: /^(?!\.{1,2}$)[^\p{Cc}\p{Zl}\p{Zp}]+$/u }
export const EMAIL: TextRule = { max: 320, trim: true, pattern: /^[^\s@]+@[^\s@]+$/u }
export const PASSWORD: TextRule = { min: 8, max: 1000 }
/** At login any password is only right or wrong. */
export const GIVEN_PASSWORD: TextRule = { max: 1000 }
export const BIO: TextRule = { max: 10_000 }
export const IMAGE: TextRule = { max: 4000 }
export const TITLE: TextRule = { max: 300 }
export const DESCRIPTION: TextRule = { max: 4000 }
export const ARTICLE_BODY: TextRule = { max: 500_000 }
export const COMMENT_BODY: TextRule = { max: 20_000 }

/** What a profile picture may be: what every browser shows. */
export const PICTURE_TYPES: readonly string[] = ['image/png', 'image/jpeg', 'image/gif', 'image/webp', 'image/avif']
export const MAX_PICTURE_BYTES: number = 5 * 1024 * 1024

/** The largest body of a request, in bytes, but for pictures. */
export const MAX_BODY_BYTES: number = 2 * 1024 * 1024

/** The largest archive of somebody's articles. */
export const MAX_DOWNLOAD_BYTES: number = 512 * 1024 * 1024
