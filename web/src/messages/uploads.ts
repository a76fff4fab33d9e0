import { type Signal, signal } from '@preact/signals'
import type { Attachment } from '../../../src/client/index.ts'
import { explain, t } from '../i18n.ts'
import { client } from '../state/session.ts'
import { say } from '../state/toasts.ts'

/** As many as the server takes with one message. */
const maxFiles = 10

/** A file that is to go with a message. */
export interface Upload {
  id: number
  file: File
  /** How much of it has left, from 0 to 1. */
  progress: number
  /** Present once the server has it. */
  attachment?: Attachment
  /** Why the server did not take it, in words. */
  problem?: string | undefined
}

export interface Uploads {
  readonly list: Signal<readonly Upload[]>
  add(files: Iterable<File>): void
  retry(id: number): void
  /** Also ends it where it is under way. */
  remove(id: number): void
  /** The uploaded ones, in order, which are the caller's from then on. */
  take(): Attachment[]
}

let lastId = 0
const byConversation = new Map<string, Uploads>()

/** The files for a conversation's next message: they go on while another conversation is looked at. */
export function uploadsOf(conversationId: string): Uploads {
  const known = byConversation.get(conversationId) ?? createUploads()
  byConversation.set(conversationId, known)
  return known
}

client.on('signedOut', () => {
  for (const uploads of byConversation.values()) for (const { id } of uploads.list.value) uploads.remove(id)
  byConversation.clear()
})

function createUploads(): Uploads {
  const list = signal<readonly Upload[]>([])
  const running = new Map<number, AbortController>()

  function change(id: number, changes: Partial<Upload>): void {
    list.value = list.value.map((upload) => (upload.id === id ? { ...upload, ...changes } : upload))
  }

  async function send({ id, file }: Upload): Promise<void> {
    const abort = new AbortController()
    running.set(id, abort)
    try {
      const onProgress = (sent: number, total: number) => change(id, { progress: total > 0 ? sent / total : 0 })
      change(id, { attachment: await client.upload(file, { onProgress, signal: abort.signal }), progress: 1 })
    } catch (error) {
      if (!abort.signal.aborted) change(id, { problem: explain(error) })
    }
    running.delete(id)
  }

  return {
    list,
    add(files) {
      const all = [...files]
      const taken = all.slice(0, maxFiles - list.value.length)
      if (taken.length < all.length) say(t('messages:tooManyFiles', { count: maxFiles }), true)
      const added = taken.map((file) => ({ id: ++lastId, file, progress: 0 }))
      list.value = [...list.value, ...added]
      for (const upload of added) void send(upload)
    },
    retry(id) {
      change(id, { problem: undefined, progress: 0 })
      const again = list.value.find((upload) => upload.id === id)
      if (again) void send(again)
    },
    remove(id) {
      running.get(id)?.abort()
      const { attachment } = list.value.find((upload) => upload.id === id) ?? {}
      list.value = list.value.filter((upload) => upload.id !== id)
      // what is left there all the same goes after a day
      if (attachment) client.rest.request('DELETE', `/v1/attachments/${attachment.id}`).catch(() => {})
    },
    take() {
      const taken = list.value.flatMap(({ attachment }) => attachment ?? [])
      list.value = []
      return taken
    },
  }
}
