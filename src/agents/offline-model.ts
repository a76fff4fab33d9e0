import { setTimeout as pause } from 'node:timers/promises'
import type { ModelChunk, ModelProvider, ModelRequest, ModelTurn } from '../kernel/model-ports.ts'
import { groupNote } from './context.ts'
import { offlineAnswer } from './offline-answers.ts'
import { countTokens } from './tokens.ts'

/**
 * What answers where no model is configured: fixed rules, at the pace of a model, free of charge. It says what it is, and
 * goes by no other name.
 * @param pauseMs between two words; in itself some 20 to 30 ms
 */
export function createOfflineModel({ pauseMs }: { pauseMs?: number } = {}): ModelProvider {
  async function* stream(request: ModelRequest, signal: AbortSignal): AsyncGenerator<ModelChunk> {
    const { turns, maxOutputTokens } = request
    const answer = offlineAnswer(questionIn(turns), !turns.some(({ role }) => role === 'assistant'))
    let outputTokens = 0
    let isCutOff = false
    for (const word of answer.match(/\s*\S+/g) ?? []) {
      const tokens = await countTokens(word)
      isCutOff = outputTokens + tokens > maxOutputTokens
      if (isCutOff || signal.aborted || !(await paused(outputTokens === 0 ? 0 : (pauseMs ?? ownPace()), signal))) break
      outputTokens += tokens
      yield { kind: 'text', text: word }
    }
    if (signal.aborted) return
    yield { kind: 'finish', reason: isCutOff ? 'length' : 'stop' }
    const inputTokens = await countTokens(turns.map(({ content }) => content).join('\n'))
    if (!signal.aborted) yield { kind: 'usage', inputTokens, outputTokens }
  }

  return { name: 'offline', stream }
}

const ownPace = (): number => 20 + Math.random() * 10

/** False: it was stopped meanwhile. */
async function paused(ms: number, signal: AbortSignal): Promise<boolean> {
  if (ms > 0) await pause(ms, undefined, { signal }).catch(() => {})
  return !signal.aborted
}

/** What was asked last: without the names of a group, the quotes of replies and whom it is addressed to. */
function questionIn(turns: readonly ModelTurn[]): string {
  const said = turns.findLast(({ role }) => role === 'user')?.content ?? ''
  const isGroup = turns.some(({ role, content }) => role === 'system' && content.endsWith(groupNote))
  return said
    .split('\n\n')
    .map((paragraph) => {
      const unnamed = isGroup ? paragraph.replace(/^[^\n:]{1,80}:[ \n]/, '') : paragraph
      return unnamed.replace(/^> .*(?:\n|$)/, '').replace(/^(?:@[\w.-]+[\s,:]*)+/, '')
    })
    .join('\n\n')
    .trim()
}
