/** `/login`, `/register`, `/logout`. */
import type { FastifyInstance } from 'fastify'
import { authenticate, registerUser, reserveUserId } from '../domain/users.ts'
import { EMAIL, GIVEN_PASSWORD, PASSWORD, USERNAME } from '../limits.ts'
import type { Messages } from '../refusal.ts'
import { databaseFor, strictDatabaseOf } from '../requests.ts'
import { errorMessages } from './elements.ts'
import { field, readForm, refusingWith, type Typed } from './forms.ts'
import { type Html, html } from './html.ts'
import type { Page } from './layout.ts'
import { show, signIn } from './visits.ts'

export function accountRoutes(pages: FastifyInstance): void {
  pages.get('/login', (request, reply) => show(request, reply, loginPage()))
  pages.get('/register', (request, reply) => show(request, reply, registerPage()))

  pages.post('/login', async (request, reply) => {
    const { input, typed } = readForm(request.body)
    return refusingWith(
      async () => {
        const email = input.text('email', { max: EMAIL.max, trim: true })
        const password = input.text('password', GIVEN_PASSWORD)
        input.verify()
        await signIn(request, await authenticate(strictDatabaseOf(request), email, password))
        return reply.redirect('/', 303)
      },
      ({ status, errors }) => show(request, reply, loginPage(typed, errors), status),
    )
  })

  pages.post('/register', async (request, reply) => {
    const { input, typed } = readForm(request.body)
    return refusingWith(
      async () => {
        const username = input.text('username', USERNAME)
        const email = input.text('email', EMAIL)
        const password = input.text('password', PASSWORD)
        input.verify()
        const id = await reserveUserId(databaseFor(request, null))
        await signIn(request, await registerUser(databaseFor(request, id), id, { username, email, password }))
        return reply.redirect('/', 303)
      },
      ({ status, errors }) => show(request, reply, registerPage(typed, errors), status),
    )
  })

  pages.post('/logout', async (request, reply) => {
    await request.session.destroy()
    return reply.redirect('/', 303)
  })
}

function loginPage(typed: Typed = {}, errors?: Messages): Page {
  const fields = html`${field('email', { type: 'email', placeholder: 'Email', value: typed['email'], autocomplete: 'username', large: true })}
  ${field('password', { type: 'password', placeholder: 'Password', autocomplete: 'current-password', large: true })}`
  const other = html`<a href="/register">Need an account?</a>`
  return { title: 'Sign in', place: 'login', content: accountForm('/login', 'Sign in', other, fields, errors) }
}

function registerPage(typed: Typed = {}, errors?: Messages): Page {
  const fields = html`${field('username', { placeholder: 'Username', value: typed['username'], autocomplete: 'nickname', large: true })}
  ${field('email', { type: 'email', placeholder: 'Email', value: typed['email'], autocomplete: 'username', large: true })}
  ${field('password', { type: 'password', placeholder: 'Password', autocomplete: 'new-password', large: true })}`
  const other = html`<a href="/login">Have an account?</a>`
  return { title: 'Sign up', place: 'register', content: accountForm('/register', 'Sign up', other, fields, errors) }
}

function accountForm(action: string, heading: string, other: Html, fields: Html, errors?: Messages): Html {
  return html`<div class="auth-page">
    <div class="container page narrow">
      <h1>${heading}</h1>
      <p class="other-way">${other}</p>
      ${errorMessages(errors)}
      <form method="post" action="${action}" novalidate>
        ${fields}
        <button type="submit" class="btn btn-lg btn-primary">${heading}</button>
      </form>
    </div>
  </div>`
}
