package dev.selvedge.android

import android.content.Context
import androidx.work.Constraints
import androidx.work.ExistingPeriodicWorkPolicy
import androidx.work.NetworkType
import androidx.work.PeriodicWorkRequest
import androidx.work.WorkManager
import androidx.work.Worker
import androidx.work.WorkerParameters
import dev.selvedge.Outbox
import dev.selvedge.OutboxOptions
import dev.selvedge.Post
import dev.selvedge.Telemetry
import dev.selvedge.Transport
import java.util.concurrent.TimeUnit

/** Posts what telemetry holds, whenever the system has a network that costs nothing. */
public abstract class SyncWorker(context: Context, parameters: WorkerParameters) : Worker(context, parameters) {
    /** The app's own: a folder is written to by one at a time. */
    protected abstract fun telemetry(): Telemetry

    protected abstract fun options(): OutboxOptions

    /** For the most part `UrlTransport("https://collector.example.com")`. */
    protected abstract fun transport(): Transport

    final override fun doWork(): Result {
        val posted = Outbox.open(telemetry(), options()).use { Post(it, transport()).run() }
        return if (posted.isComplete) Result.success() else Result.retry()
    }

    public companion object {
        /** Once in so many hours. */
        @JvmStatic
        @JvmOverloads
        public fun schedule(context: Context, worker: Class<out SyncWorker>, hours: Long = 24) {
            val network = Constraints.Builder().setRequiredNetworkType(NetworkType.UNMETERED).build()
            val work = PeriodicWorkRequest.Builder(worker, hours, TimeUnit.HOURS).setConstraints(network).build()
            WorkManager.getInstance(context)
                .enqueueUniquePeriodicWork("selvedge-sync", ExistingPeriodicWorkPolicy.KEEP, work)
        }
    }
}
