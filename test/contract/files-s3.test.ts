/** Files in S3, against OpenStack Swift's S3 interface. */

import { CreateBucketCommand, ListMultipartUploadsCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3'
import { ensureS3, hasS3 } from '../../scripts/s3-service.ts'
import { createS3Driver } from '../../src/files/s3/s3-driver.ts'
import { filesContract, type FilesServerUnderTest } from '../../src/testing/index.ts'
import { freeze } from '../support/freeze.ts'

const skip = (await hasS3()) ? false : 'no S3 server on this machine'
const bucket = 'uploads'

filesContract({ name: 's3', start: startS3, skip })

async function startS3(): Promise<FilesServerUnderTest> {
  const service = await ensureS3()
  const { endpoint, accessKeyId, secretAccessKey } = service
  const credentials = { accessKeyId, secretAccessKey }
  const client = new S3Client({ region: 'us-east-1', endpoint, forcePathStyle: true, credentials })
  await client.send(new CreateBucketCommand({ Bucket: bucket }))
  let resume = (): void => undefined
  return {
    connect: async () => createS3Driver({ bucket, prefix: 'app/', endpoint, accessKeyId, secretAccessKey }),
    countContents: async () => {
      const keys = await client.send(new ListObjectsV2Command({ Bucket: bucket }))
      const uploads = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }))
      return (keys.Contents ?? []).length + (uploads.Uploads ?? []).length
    },
    pause: () => {
      resume = freeze(service.pids)
    },
    resume: () => resume(),
    stop: async () => {
      client.destroy()
      await service.stop()
    },
  }
}
