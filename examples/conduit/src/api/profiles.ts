/** `/api/profiles/:username`: who somebody is, and following them. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { findProfile, follow, type FoundProfile, unfollow } from '../domain/profiles.ts'
import { isStorable } from '../input.ts'
import { notFound } from '../refusal.ts'
import { cacheOf, databaseOf } from '../requests.ts'
import { type Authentication, userOf, viewerOf } from './authentication.ts'
import { presentProfile } from './present.ts'

interface ProfileRoute {
  Params: { username: string }
}

export function profileRoutes(api: FastifyInstance, authentication: Authentication): void {
  const signedIn = { onRequest: authentication.required }

  api.get<ProfileRoute>('/profiles/:username', { onRequest: authentication.optional }, async (request) =>
    presentProfile(await profileAt(request)),
  )

  api.post<ProfileRoute>('/profiles/:username/follow', signedIn, async (request) => {
    const profile = await profileAt(request)
    await follow(databaseOf(request), userOf(request).id, profile.id)
    return presentProfile({ ...profile, following: true })
  })

  api.delete<ProfileRoute>('/profiles/:username/follow', signedIn, async (request) => {
    const profile = await profileAt(request)
    await unfollow(databaseOf(request), userOf(request).id, profile.id)
    return presentProfile({ ...profile, following: false })
  })
}

async function profileAt(request: FastifyRequest<ProfileRoute>): Promise<FoundProfile> {
  const { username } = request.params
  const profile = isStorable(username) ? await findProfile(cacheOf(request), username, viewerOf(request)) : undefined
  if (!profile) throw notFound('profile')
  return profile
}
