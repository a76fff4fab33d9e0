import { ImageUp, Trash2 } from 'lucide'
import { useRef, useState } from 'preact/hooks'
import type { Conversation } from '../../../src/client/index.ts'
import { t } from '../i18n.ts'
import { client } from '../state/session.ts'
import { attempt } from '../state/toasts.ts'
import { Button } from '../ui/button.tsx'

/** The picture of a group or an AI chat, to be changed or taken away. */
export function InfoPicture({ conversation: { id, avatarUrl } }: { conversation: Conversation }) {
  const input = useRef<HTMLInputElement>(null)
  const [isSending, setSending] = useState(false)
  const give = (avatarId: string | null) => client.command('conversation:update', { conversationId: id, avatarId })

  async function take(file: File | undefined): Promise<void> {
    if (!file) return
    setSending(true)
    await attempt(async () => give((await client.upload(file)).id))
    setSending(false)
  }

  return (
    <div class="actions">
      <input
        ref={input}
        class="unseen"
        type="file"
        accept="image/*"
        tabIndex={-1}
        aria-label={t('conversations:picture')}
        onChange={(event) => {
          void take(event.currentTarget.files?.[0])
          event.currentTarget.value = ''
        }}
      />
      <Button icon={ImageUp} disabled={isSending} onPress={() => input.current?.click()}>
        {t(isSending ? 'common:loading' : 'conversations:pictureChange')}
      </Button>
      {avatarUrl && (
        <Button icon={Trash2} disabled={isSending} onPress={() => give(null)}>
          {t('conversations:pictureRemove')}
        </Button>
      )}
    </div>
  )
}
