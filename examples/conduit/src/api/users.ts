/** `/api/users` and `/api/user`: registration, login, one's own account. */
import type { FastifyInstance } from 'fastify'
import { authenticate, registerUser, reserveUserId, updateUser, type UserChanges } from '../domain/users.ts'
import { Input } from '../input.ts'
import { BIO, EMAIL, GIVEN_PASSWORD, IMAGE, PASSWORD, USERNAME } from '../limits.ts'
import { Refusal } from '../refusal.ts'
import { databaseFor, strictDatabaseOf } from '../requests.ts'
import type { Tokens } from '../tokens.ts'
import { type Authentication, userOf } from './authentication.ts'
import { presentUser } from './present.ts'

export function userRoutes(api: FastifyInstance, tokens: Tokens, authentication: Authentication): void {
  const signedIn = { onRequest: authentication.required }

  api.post('/users', async (request, reply) => {
    const newUser = readRegistration(request.body)
    const id = await reserveUserId(databaseFor(request, null))
    const user = await registerUser(databaseFor(request, id), id, newUser)
    return reply.status(201).send(presentUser(user, await tokens.sign(user.id)))
  })

  api.post('/users/login', async (request) => {
    const input = Input.within(request.body, 'user')
    const email = input.text('email', { max: EMAIL.max, trim: true })
    const password = input.text('password', GIVEN_PASSWORD)
    input.verify()
    const user = await authenticate(strictDatabaseOf(request), email, password)
    return presentUser(user, await tokens.sign(user.id))
  })

  api.get('/user', signedIn, async (request) => {
    const user = userOf(request)
    return presentUser(user, await tokens.sign(user.id))
  })

  api.put('/user', signedIn, async (request) => {
    const changes = readChanges(request.body)
    const user = await updateUser(strictDatabaseOf(request), userOf(request), changes, request.ff.jobs)
    return presentUser(user, await tokens.sign(user.id))
  })
}

function readRegistration(body: unknown): { username: string; email: string; password: string } {
  const input = Input.within(body, 'user')
  const user = {
    username: input.text('username', USERNAME),
    email: input.text('email', EMAIL),
    password: input.text('password', PASSWORD),
  }
  input.verify()
  return user
}

function readChanges(body: unknown): UserChanges {
  const input = Input.changesWithin(body, 'user')
  const changes = {
    username: input.changedText('username', USERNAME),
    email: input.changedText('email', EMAIL),
    password: input.changedText('password', PASSWORD),
    bio: input.nullableText('bio', BIO),
    image: input.nullableText('image', IMAGE),
  }
  input.verify()
  if (Object.values(changes).every((value) => value === undefined)) {
    throw new Refusal(422, { user: ["can't be blank"] })
  }
  return changes
}
