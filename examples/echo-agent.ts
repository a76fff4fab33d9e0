import { setTimeout as pause } from 'node:timers/promises'
import { createAgent } from '../src/client/index.ts'

const [url = 'http://localhost:3000', key = process.env.AGENT_KEY ?? ''] = process.argv.slice(2)
const agent = createAgent({
  url,
  key,
  async onMessage(message, reply) {
    const stream = reply.stream()
    for (const word of message.content.split(/(?<=\s)/)) {
      await stream.write(word)
      if (stream.signal.aborted) return
      await pause(100)
    }
    await stream.finish()
  },
})
await agent.ready
console.log('Ready.')
