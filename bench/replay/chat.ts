import { z } from 'zod'

/** A message as the file has it; `person` is an index into the chat's nicks. */
export type Line = { person: number; text: string }

/** What was said in one group, in order. `people` are those who say something in it, in the order of their first line. */
export type ChatLog = { name: string; people: number[]; lines: Line[] }

export type Chat = { nicks: string[]; logs: ChatLog[] }

/** The time of day has no meaning here: the order of the lines is what counts. */
const line = z.object({ log: z.string().min(1), from: z.string().min(1), text: z.string() })

/**
 * Reads a chat from JSON lines. A nick is one person, whichever logs it is in.
 * @throws TypeError naming the line that is none
 */
export function parseChat(text: string): Chat {
  const people = new Map<string, number>()
  const logs = new Map<string, { members: Set<number>; lines: Line[] }>()
  for (const [index, json] of text.split('\n').entries()) {
    if (json.trim() === '') continue
    const { log, from, text } = readLine(json, index + 1)
    const person = people.get(from) ?? people.size
    people.set(from, person)
    const own = logs.get(log) ?? { members: new Set(), lines: [] }
    logs.set(log, own)
    own.members.add(person)
    own.lines.push({ person, text })
  }
  return {
    nicks: [...people.keys()],
    logs: [...logs].map(([name, { members, lines }]) => ({ name, people: [...members], lines })),
  }
}

function readLine(json: string, number: number): z.infer<typeof line> {
  try {
    return line.parse(JSON.parse(json))
  } catch (cause) {
    throw new TypeError(`Line ${number} is no message { log, at, from, text } in JSON.`, { cause })
  }
}
