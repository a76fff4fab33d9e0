import { Trash2, Upload } from 'lucide'
import { useRef, useState } from 'preact/hooks'
import { t } from '../i18n.ts'
import { client } from '../state/session.ts'
import { Avatar } from '../ui/avatar.tsx'
import { Button } from '../ui/button.tsx'
import { Problem, useSending } from '../ui/problem.tsx'

interface AvatarFieldOptions {
  name: string
  url: string | undefined
  kind?: 'human' | 'agent'
  /** Takes an uploaded image, or none. */
  onPick(attachmentId: string | null): Promise<unknown>
}

/** A picture of somebody, with what changes it. */
export function AvatarField({ name, url, kind = 'human', onPick }: AvatarFieldOptions) {
  const input = useRef<HTMLInputElement>(null)
  const [progress, setProgress] = useState<number>()
  const { problem, isBusy, send } = useSending({
    unsupported_media: t('account:noImage'),
    unprocessable: t('account:noImage'),
  })

  async function take(file: File | undefined): Promise<void> {
    if (!file) return
    await send(async () => {
      const onProgress = (sent: number, total: number) => setProgress(total > 0 ? sent / total : 1)
      const { id } = await client.upload(file, { onProgress })
      await onPick(id)
    })
    setProgress(undefined)
    if (input.current) input.current.value = ''
  }

  return (
    <div class="settings-avatar">
      <Avatar name={name} url={url} kind={kind} size={72} />
      <div class="settings-row">
        <input
          ref={input}
          type="file"
          accept="image/*"
          hidden
          aria-label={t('account:pickPicture')}
          onChange={(event) => void take(event.currentTarget.files?.[0])}
        />
        <Button icon={Upload} disabled={isBusy} onPress={() => input.current?.click()}>
          {t('account:pickPicture')}
        </Button>
        {url && (
          <Button icon={Trash2} disabled={isBusy} onPress={() => void send(() => onPick(null))}>
            {t('account:removePicture')}
          </Button>
        )}
      </div>
      {progress !== undefined && <progress aria-label={t('account:uploading')} value={progress} />}
      <Problem text={problem} />
    </div>
  )
}
