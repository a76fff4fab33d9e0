/**
 * A language model for the bench: the OpenAI protocol on 127.0.0.1, for any number of answers at once. A question
 * `<tokens> tokens` is answered by so many, 50 a second, each of which says when it was sent: milliseconds since 1970.
 */
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

const tokenMs = 20

type Answer = { response: ServerResponse; left: number; dueAt: number }

const answers = new Set<Answer>()

/** One timer for all: what is due by now is sent, so that a late turn delays tokens and loses none. */
setInterval(() => {
  const now = performance.now()
  for (const answer of answers) {
    while (answer.left > 0 && answer.dueAt <= now) {
      send(answer.response, { delta: { content: `${Date.now()} ` } })
      answer.left--
      answer.dueAt += tokenMs
    }
    if (answer.left === 0) end(answer)
  }
}, 5)

function send(response: ServerResponse, choice: object): void {
  response.write(`data: ${JSON.stringify({ object: 'chat.completion.chunk', choices: [{ index: 0, ...choice }] })}\n\n`)
}

function end(answer: Answer): void {
  answers.delete(answer)
  send(answer.response, { delta: {}, finish_reason: 'stop' })
  answer.response.end('data: [DONE]\n\n')
}

const server = createServer((request, response) => {
  let body = ''
  request.setEncoding('utf8')
  request.on('data', (part: string) => {
    body += part
  })
  request.on('end', () => {
    const tokens = Number(/(\d+) tokens/.exec(body)?.[1] ?? 1)
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    // spread over the interval, as answers of different models are
    const answer = { response, left: tokens, dueAt: performance.now() + Math.random() * tokenMs }
    answers.add(answer)
    response.on('close', () => answers.delete(answer))
  })
})
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
