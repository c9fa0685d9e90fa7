/** Orders the archive of one's articles without leaving the page, and shows how far it is. */

// Of `fourfold/client`, and served beside this: no file of the app's.
const { waitForJob } = await import(new URL('jobs.js', import.meta.url).href)

const box = document.querySelector('[data-download]')
if (box) {
  const form = box.querySelector('form')
  const button = form.querySelector('button')
  const running = box.querySelector('.download-progress')
  const bar = running.querySelector('progress')
  const cancelling = running.querySelector('form')
  const cancel = cancelling.querySelector('button')
  const state = box.querySelector('.download-state')
  const link = box.querySelector('.download-link')

  const post = async (action, problem) => {
    const headers = { accept: 'application/json' }
    const answer = await fetch(action, { method: 'POST', headers, body: new URLSearchParams() })
    // Nobody is signed in here any more.
    if (answer.redirected) location.assign(answer.url)
    else if (!answer.ok) throw new Error(problem)
    return answer
  }

  const order = async () => {
    const problem = 'It could not be ordered. Please try again.'
    const answer = await post(form.action, problem)
    if (answer.redirected) return null
    const address = answer.headers.get('location') ?? answer.headers.get('content-location')
    if (!address) throw new Error(problem)
    return address
  }

  const follow = async (address) => {
    cancelling.action = `/downloads/${address.split('/').at(-1)}/cancel`
    bar.value = 0
    running.hidden = false
    const { output } = await waitForJob(address, {
      onProgress: ({ progress, message }) => {
        bar.value = progress ?? 0
        if (!cancel.disabled) state.textContent = message ?? 'It will begin in a moment.'
      },
    })
    bar.value = 1
    state.textContent = 'Your archive is ready.'
    link.querySelector('.download-about').textContent =
      `${output.articles} ${output.articles === 1 ? 'article' : 'articles'}`
  }

  const run = async (address) => {
    // The one before is none that was asked for, unless nothing comes of this one.
    let isThere = !link.hidden
    link.hidden = true
    button.disabled = true
    try {
      const ordered = address ?? (await order())
      if (ordered) {
        await follow(ordered)
        isThere = true
      }
    } catch (error) {
      state.textContent = error.state === 'cancelled' ? 'It was cancelled.' : error.message
    }
    link.hidden = !isThere
    button.disabled = false
    // The keyboard stays where something can be pressed.
    if (cancel.disabled || running.contains(document.activeElement)) button.focus()
    running.hidden = true
    cancel.disabled = false
  }

  const stop = async () => {
    const problem = 'It could not be cancelled. Please try again.'
    cancel.disabled = true
    state.textContent = 'It is being cancelled.'
    try {
      await post(cancelling.action, problem)
    } catch {
      // It came to its end meanwhile.
      if (running.hidden) return
      cancel.disabled = false
      state.textContent = problem
    }
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault()
    void run()
  })
  cancelling.addEventListener('submit', (event) => {
    event.preventDefault()
    void stop()
  })
  box.querySelector('.download-again')?.remove()
  if (box.dataset.download) void run(box.dataset.download)
}
