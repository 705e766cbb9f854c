// Eight analog inputs, offered through Watcher: the start for any set of sensors.
//
// All are assigned in the same frame, once for each analog frame, so that they can share one stream
// whose rows have one time each.

#include <Bela.h>
#include <Watcher.h>
#include <cstdio>

Watcher<float> gSensor1("sensor1");
Watcher<float> gSensor2("sensor2");
Watcher<float> gSensor3("sensor3");
Watcher<float> gSensor4("sensor4");
Watcher<float> gSensor5("sensor5");
Watcher<float> gSensor6("sensor6");
Watcher<float> gSensor7("sensor7");
Watcher<float> gSensor8("sensor8");

static Watcher<float>* const kSensors[] = {
	&gSensor1, &gSensor2, &gSensor3, &gSensor4, &gSensor5, &gSensor6, &gSensor7, &gSensor8};
static constexpr unsigned int kNumSensors = sizeof(kSensors) / sizeof(kSensors[0]);

static unsigned int gAudioFramesPerAnalogFrame = 0;

bool setup(BelaContext* context, void*)
{
	if(context->analogFrames == 0 || context->analogInChannels < kNumSensors)
	{
		fprintf(stderr, "Choose eight analog channels in the project's settings.\n");
		return false;
	}
	gAudioFramesPerAnalogFrame = context->audioFrames / context->analogFrames;

	WatcherManager* watchers = Bela_getDefaultWatcherManager();
	watchers->getGui().setup(context->projectName);
	watchers->setup(context->audioSampleRate);
	return true;
}

void render(BelaContext* context, void*)
{
	for(unsigned int n = 0; n < context->audioFrames; ++n)
	{
		// First the tick, then the values: they belong to this frame.
		Bela_getDefaultWatcherManager()->tick(context->audioFramesElapsed + n);

		if(n % gAudioFramesPerAnalogFrame == 0)
		{
			const unsigned int analogFrame = n / gAudioFramesPerAnalogFrame;
			for(unsigned int channel = 0; channel < kNumSensors; ++channel)
				*kSensors[channel] = analogRead(context, analogFrame, channel);
		}
	}
}

void cleanup(BelaContext*, void*)
{
}
