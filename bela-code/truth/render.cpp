// A counter and a numbered sync pulse: what a recording must contain is known beforehand.
//
// `counter` is the number of the frame, so that a lost, doubled or shifted value is a difference of
// whole numbers. `pulse` is the number of each pulse on digital output 0, in the frame in which it
// begins; `sync` is that output at every frame.

#include <Bela.h>
#include <Watcher.h>
#include <cstdio>

Watcher<unsigned int> gCounter("counter");
Watcher<char> gSync("sync");
Watcher<unsigned int> gPulse("pulse", WatcherManager::kTimestampSample);

static constexpr unsigned int kOutputChannel = 0;
static constexpr float kPulseSeconds = 0.01f;
static constexpr float kPeriodSeconds = 1.f;

static unsigned int gPulseFrames = 0;
static unsigned int gPeriodFrames = 0;
static unsigned int gPulseNumber = 0;

bool setup(BelaContext* context, void*)
{
	if(context->digitalFrames != context->audioFrames || context->digitalChannels <= kOutputChannel)
	{
		fprintf(stderr, "Turn the digital channels on in the project's settings.\n");
		return false;
	}
	pinMode(context, 0, kOutputChannel, OUTPUT);
	gPulseFrames = kPulseSeconds * context->audioSampleRate;
	gPeriodFrames = kPeriodSeconds * context->audioSampleRate;

	WatcherManager* watchers = Bela_getDefaultWatcherManager();
	watchers->getGui().setup(context->projectName);
	watchers->setup(context->audioSampleRate);
	return true;
}

void render(BelaContext* context, void*)
{
	for(unsigned int n = 0; n < context->audioFrames; ++n)
	{
		const uint64_t frame = context->audioFramesElapsed + n;
		// First the tick, then the values: they belong to this frame.
		Bela_getDefaultWatcherManager()->tick(frame);

		const unsigned int inPeriod = frame % gPeriodFrames;
		const bool on = inPeriod < gPulseFrames;
		digitalWriteOnce(context, n, kOutputChannel, on);
		gCounter = static_cast<unsigned int>(frame); // from 0 again after 2^32: 27 hours
		gSync = on;
		if(inPeriod == 0)
			gPulse = ++gPulseNumber;
	}
}

void cleanup(BelaContext*, void*)
{
}
