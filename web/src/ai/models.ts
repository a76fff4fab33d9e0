import { computed, effect, signal } from '@preact/signals'
import type { Conversation, Message, Model } from '../../../src/client/index.ts'
import { client, stage } from '../state/session.ts'

/** The models that this server can ask; empty until they are known. */
export const models = signal<readonly Model[]>([])

let loading: Promise<readonly Model[]> | undefined

/** The models, once they are known. Rejects where they cannot be had; the next call asks again. */
export function loadModels(): Promise<readonly Model[]> {
  loading ??= client.rest.request<{ items: Model[] }>('GET', '/v1/models').then(
    ({ items }) => {
      models.value = items
      return items
    },
    (error) => {
      loading = undefined
      throw error
    },
  )
  return loading
}

effect(() => {
  if (stage.value === 'ready') loadModels().catch(() => {})
})

const labels = computed(() => new Map(models.value.map(({ id, label }) => [id, label])))

/** What people call a model; its id where the server does not have it any more. */
export const labelOf = (modelId: string): string => labels.value.get(modelId) ?? modelId

/** Whether several models answer there, side by side. */
export const isComparison = ({ type, models: asked }: Conversation): boolean =>
  type === 'assistant' && (asked?.length ?? 0) > 1

/** The question before an answer, and the other answers to it: what stands between two questions. */
export function siblingsOf(messages: readonly Message[], answer: Message): Message[] {
  const at = messages.findIndex(({ id }) => id === answer.id)
  if (at < 0) return []
  const isAnswer = (message: Message | undefined) => message?.role === 'assistant'
  let [first, last] = [at, at]
  while (isAnswer(messages[first - 1])) first--
  while (isAnswer(messages[last + 1])) last++
  return messages.slice(first, last + 1)
}
